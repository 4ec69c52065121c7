"""What limits guesses and mails."""
