"""Tables in and out: any format to a lazy frame, and a lazy frame to a published file."""
