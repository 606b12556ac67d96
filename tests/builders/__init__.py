"""What tests build on: small inputs, scratch projects, runs of a stage; no test lies here, and no test module imports another."""
