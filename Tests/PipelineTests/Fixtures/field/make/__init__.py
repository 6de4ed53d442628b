"""What make_field.py is made of: drawing, writers of PDF and TIFF by hand, and a module for each group of kinds."""
