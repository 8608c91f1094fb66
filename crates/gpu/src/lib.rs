//! The wgpu executor: devices, buffers, pipelines, clocks.
