// MLX's affine groups of 32 weights, 4 bits each.
//# with bits = 4, group = 32
//# include "shared/mlx.wgsl"
//# endwith
