"""tmp"""
def fast_nodes(p, nuclide, nmol):
    raise NotImplementedError
