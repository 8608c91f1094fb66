//! GGUF and safetensors checkpoints over mmap, random-weight checkpoints, GGUF writer.
