// MLX's affine groups of 32 weights, 6 bits each.
//# with bits = 6, group = 32
//# include "shared/mlx.wgsl"
//# endwith
