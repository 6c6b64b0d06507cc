"""Turns run folders into pictures and tables. Knows files, not Ray and not crypto."""
