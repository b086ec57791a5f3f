"""What an operation is: values, transitions, index and statistics. No I/O, no threads, no clock."""
