// MLX's affine groups of 32 weights, 3 bits each.
//# with bits = 3, group = 32
//# include "shared/mlx.wgsl"
//# endwith
