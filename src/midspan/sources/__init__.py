"""In from elsewhere: what reports operations by itself, such as other tools' spans."""
