//! Minimal kernels for tests of the executor, with their WGSL.

use ridgeline_compute::{Caps, Defines, Kernel, Linker, TestInput, TestRng};
use std::sync::Arc;

const FILES: &[(&str, &str)] = &[
    (
        "kernel/scale.wgsl",
        "@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * groups.x + group.x) * WORKGROUP_SIZE + lane;
    if i < params.n { y[i] = params.factor * x[i]; }
}
",
    ),
    (
        "kernel/add_to.wgsl",
        "@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * groups.x + group.x) * WORKGROUP_SIZE + lane;
    if i < params.n { y[i] += x[i]; }
}
",
    ),
    (
        "kernel/spin.wgsl",
        "@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * WORKGROUP_SIZE + lane;
    var state = i;
    for (var round = 0u; round < params.rounds; round++) { state = state * 1664525u + 1013904223u; }
    y[i] = state;
}
",
    ),
    (
        "kernel/texels.wgsl",
        "@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * WORKGROUP_SIZE + lane;
    if i < params.n {
        let at = params.x_first + i;
        y[i] = textureLoad(x, vec2u(at % TEXTURE_WIDTH, at / TEXTURE_WIDTH));
    }
}
",
    ),
    ("kernel/mark.wgsl", "@compute @workgroup_size(1) fn main() { to[0] = params.value; }\n"),
    ("kernel/broken.wgsl", "@compute @workgroup_size(1) fn main() { y[0] = no_such_name; }\n"),
];

/// The linker over this file's kernels.
pub(crate) fn linker() -> Arc<Linker> {
    Arc::new(Linker::new(FILES).expect("the templates are valid"))
}

/// `y = factor x`.
pub(crate) mod scale {
    use super::{Caps, Defines, Kernel, TestInput, TestRng};
    use ridgeline_compute::wgsl::array;

    ridgeline_compute::kernel! {
        /// y = factor * x.
        pub struct Scale("scale") { workgroup_size: u32 }
        params { n: u32, factor: f32 }
        bindings { x: read array<f32>, y: write array<f32> }
    }

    impl Kernel for Scale {
        fn all(_: &Caps) -> Vec<Self> {
            vec![Self { workgroup_size: 1 }, Self { workgroup_size: 64 }]
        }
        fn defines(&self) -> Defines {
            Defines::new(self.workgroup_size)
        }
        fn groups(&self, p: &Params) -> u64 {
            u64::from(p.n.div_ceil(self.workgroup_size))
        }
        fn flops(&self, p: &Params) -> u64 {
            u64::from(p.n)
        }
        fn traffic(&self, p: &Params) -> Bytes {
            self.min_binding_size(p)
        }
        fn min_binding_size(&self, p: &Params) -> Bytes {
            Bytes { x: 4 * u64::from(p.n), y: 4 * u64::from(p.n) }
        }
        fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
            let n = rng.range(1, 300);
            TestInput {
                params: Params { n, factor: rng.float() },
                bindings: vec![rng.words(n as usize), Vec::new()],
            }
        }
        fn reference(&self, p: &Params, host: Host<'_>) {
            for i in 0..p.n as usize {
                host.y[i] = p.factor * host.x[i];
            }
        }
    }
}

/// `y += x`, in place.
pub(crate) mod add_to {
    use super::{Caps, Defines, Kernel, TestInput, TestRng};
    use ridgeline_compute::wgsl::array;

    ridgeline_compute::kernel! {
        /// y += x.
        pub struct AddTo("add_to") { workgroup_size: u32 }
        params { n: u32 }
        bindings { x: read array<f32>, y: update array<f32> }
    }

    impl Kernel for AddTo {
        fn all(_: &Caps) -> Vec<Self> {
            vec![Self { workgroup_size: 64 }]
        }
        fn defines(&self) -> Defines {
            Defines::new(self.workgroup_size)
        }
        fn groups(&self, p: &Params) -> u64 {
            u64::from(p.n.div_ceil(self.workgroup_size))
        }
        fn flops(&self, p: &Params) -> u64 {
            u64::from(p.n)
        }
        fn traffic(&self, p: &Params) -> Bytes {
            Bytes { x: 4 * u64::from(p.n), y: 8 * u64::from(p.n) }
        }
        fn min_binding_size(&self, p: &Params) -> Bytes {
            Bytes { x: 4 * u64::from(p.n), y: 4 * u64::from(p.n) }
        }
        fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
            let n = rng.range(1, 300);
            TestInput { params: Params { n }, bindings: vec![rng.words(n as usize), rng.words(n as usize)] }
        }
        fn reference(&self, p: &Params, host: Host<'_>) {
            for i in 0..p.n as usize {
                host.y[i] += host.x[i];
            }
        }
    }
}

/// Copies vec4 words out of a texture.
pub(crate) mod texels {
    use super::{Caps, Defines, Kernel, TestInput, TestRng};
    use ridgeline_compute::wgsl::{array, vec4};

    ridgeline_compute::kernel! {
        /// y = x, `n` vec4 words.
        pub struct Texels("texels") { workgroup_size: u32 }
        params { n: u32 }
        bindings { x: read array<vec4<u32>>, y: write array<vec4<u32>> }
    }

    impl Kernel for Texels {
        fn all(_: &Caps) -> Vec<Self> {
            vec![Self { workgroup_size: 64 }]
        }
        fn defines(&self) -> Defines {
            Defines::new(self.workgroup_size)
        }
        fn in_texture(&self, binding: &str) -> bool {
            binding == "x"
        }
        fn groups(&self, p: &Params) -> u64 {
            u64::from(p.n.div_ceil(self.workgroup_size))
        }
        fn flops(&self, _: &Params) -> u64 {
            0
        }
        fn traffic(&self, p: &Params) -> Bytes {
            self.min_binding_size(p)
        }
        fn min_binding_size(&self, p: &Params) -> Bytes {
            Bytes { x: 16 * u64::from(p.n), y: 16 * u64::from(p.n) }
        }
        fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
            let n = rng.range(1, 300);
            TestInput { params: Params { n }, bindings: vec![rng.words(4 * n as usize), Vec::new()] }
        }
        fn reference(&self, _: &Params, host: Host<'_>) {
            host.y.copy_from_slice(host.x);
        }
    }
}

/// Takes a chosen time: every invocation iterates a linear congruential generator.
///
/// Mesa's software driver ends the loops of an invocation after 65 535 iterations in total. More rounds neither take
/// longer there nor give the twin's result. More workgroups take longer.
pub(crate) mod spin {
    use super::{Caps, Defines, Kernel, TestInput, TestRng};
    use ridgeline_compute::wgsl::array;

    ridgeline_compute::kernel! {
        /// y[i] = the generator's state after `rounds` steps from `i`.
        pub struct Spin("spin") { workgroup_size: u32 }
        params { groups: u32, rounds: u32 }
        bindings { y: write array<u32> }
    }

    impl Kernel for Spin {
        fn all(_: &Caps) -> Vec<Self> {
            vec![Self { workgroup_size: 64 }]
        }
        fn defines(&self) -> Defines {
            Defines::new(self.workgroup_size)
        }
        fn groups(&self, p: &Params) -> u64 {
            u64::from(p.groups)
        }
        fn flops(&self, _: &Params) -> u64 {
            0
        }
        fn traffic(&self, p: &Params) -> Bytes {
            self.min_binding_size(p)
        }
        fn min_binding_size(&self, p: &Params) -> Bytes {
            Bytes { y: 4 * u64::from(p.groups) * u64::from(self.workgroup_size) }
        }
        fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
            let params = Params { groups: rng.range(1, 9), rounds: rng.range(0, 100) };
            TestInput { params, bindings: vec![Vec::new()] }
        }
        fn reference(&self, p: &Params, host: Host<'_>) {
            for (i, y) in (0..p.groups * self.workgroup_size).zip(host.y) {
                *y = i;
                for _ in 0..p.rounds {
                    *y = y.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                }
            }
        }
    }
}

/// Writes its parameter.
pub(crate) mod mark {
    use super::{Caps, Defines, Kernel, TestInput, TestRng};
    use ridgeline_compute::wgsl::array;

    ridgeline_compute::kernel! {
        /// to[0] = value.
        pub struct Mark("mark") {}
        params { value: u32 }
        bindings { to: write array<u32> }
    }

    impl Kernel for Mark {
        fn all(_: &Caps) -> Vec<Self> {
            vec![Self {}]
        }
        fn defines(&self) -> Defines {
            Defines::default()
        }
        fn groups(&self, _: &Params) -> u64 {
            1
        }
        fn flops(&self, _: &Params) -> u64 {
            0
        }
        fn traffic(&self, p: &Params) -> Bytes {
            self.min_binding_size(p)
        }
        fn min_binding_size(&self, _: &Params) -> Bytes {
            Bytes { to: 4 }
        }
        fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
            TestInput { params: Params { value: rng.range(1, 99) }, bindings: vec![Vec::new()] }
        }
        fn reference(&self, p: &Params, host: Host<'_>) {
            host.to[0] = p.value;
        }
    }
}

/// A kernel whose WGSL does not compile.
pub(crate) mod broken {
    use super::{Caps, Defines, Kernel, TestInput, TestRng};
    use ridgeline_compute::wgsl::array;

    ridgeline_compute::kernel! {
        /// Does not compile.
        pub struct Broken("broken") { workgroup_size: u32 }
        params { n: u32 }
        bindings { y: write array<f32> }
    }

    impl Kernel for Broken {
        fn all(_: &Caps) -> Vec<Self> {
            Vec::new()
        }
        fn defines(&self) -> Defines {
            Defines::new(self.workgroup_size)
        }
        fn groups(&self, _: &Params) -> u64 {
            1
        }
        fn flops(&self, _: &Params) -> u64 {
            0
        }
        fn traffic(&self, p: &Params) -> Bytes {
            self.min_binding_size(p)
        }
        fn min_binding_size(&self, _: &Params) -> Bytes {
            Bytes { y: 4 }
        }
        fn test_input(&self, _: &mut TestRng) -> TestInput<Params> {
            TestInput { params: Params { n: 1 }, bindings: vec![Vec::new()] }
        }
        fn reference(&self, _: &Params, host: Host<'_>) {
            host.y[0] = 0.0;
        }
    }
}
