// MLX's affine groups of 64 weights, 3 bits each.
//# with bits = 3, group = 64
//# include "shared/mlx.wgsl"
//# endwith
