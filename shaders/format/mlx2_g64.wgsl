// MLX's affine groups of 64 weights, 2 bits each.
//# with bits = 2, group = 64
//# include "shared/mlx.wgsl"
//# endwith
