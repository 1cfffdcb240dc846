"""Export of the student, the embedded gRPC server and the client."""
