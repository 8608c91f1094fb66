// MLX's affine groups of 32 weights, 2 bits each.
//# with bits = 2, group = 32
//# include "shared/mlx.wgsl"
//# endwith
