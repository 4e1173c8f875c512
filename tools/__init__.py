"""Programs of the checkout that the wheel leaves out."""
