"""KIT: decay, recovery of small objects, dose of spheres. Plain functions of numbers."""
