class Bench:
    def __init__(self, build, program): pass
    def __enter__(self): return self
    def __exit__(self, *a): pass
    def measure(self, row, result, rates): return result
def idle(program): return {"valid": False}
