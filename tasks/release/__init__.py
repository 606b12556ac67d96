"""Stage `release`: the gate, the certificate, the files that trainers read, and the pages that people read."""
