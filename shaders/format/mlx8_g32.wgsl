// MLX's affine groups of 32 weights, 8 bits each.
//# with bits = 8, group = 32
//# include "shared/mlx.wgsl"
//# endwith
