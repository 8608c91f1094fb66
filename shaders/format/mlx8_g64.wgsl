// MLX's affine groups of 64 weights, 8 bits each.
//# with bits = 8, group = 64
//# include "shared/mlx.wgsl"
//# endwith
