"""End-to-end encryption: what two people or a room say to each other is readable by them alone. (spec 15-keys)"""
