"""What others are built on."""
