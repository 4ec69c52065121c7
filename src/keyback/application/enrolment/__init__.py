"""What people leave with us for the day they are locked out: factors, contacts, questions."""
