//! The two halves of a kernel: [`Bindings`], which [`kernel!`](crate::kernel!) writes, and [`Kernel`], which the
//! kernel's author writes.

use crate::{Caps, Slice, TestInput, TestRng};
use bytemuck::Pod;
use minijinja::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

/// How a binding is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`, only written.
    Write,
    /// `var<storage, read_write>`, changed in place.
    Update,
}

/// Vec4 words in a line of a texture that holds plain data. A power of two, so that an index splits by shifts.
pub const TEXELS: u32 = 1024;

/// One binding of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct BindingInfo {
    /// Its name, in WGSL and in Rust.
    pub name: &'static str,
    /// How it is accessed.
    pub access: Access,
    /// Its WGSL type.
    pub wgsl: &'static str,
}

/// Host memory behind one binding while a twin runs, as 32-bit words.
#[derive(Debug)]
pub enum HostBuf<'a> {
    /// For reading.
    Read(&'a [u32]),
    /// For writing.
    Write(&'a mut [u32]),
}

/// The interface of a kernel, written by [`kernel!`](crate::kernel!) from one declaration.
pub trait Bindings {
    /// The kernel's name: the stem of its Rust file and of its WGSL file.
    const NAME: &'static str;
    /// Names and WGSL types of the parameters, 4-byte scalars only, in order.
    const PARAMS: &'static [(&'static str, &'static str)];
    /// The bindings, in order.
    const BINDINGS: &'static [BindingInfo];
    /// The parameter block, passed as immediates.
    type Params: Pod + Debug + Send + Sync;
    /// One slice per binding, by name.
    type Args;
    /// One host view per binding, by name.
    type Host<'a>;
    /// One byte count per binding, by name.
    type Bytes: Copy + Debug;
    /// The slices in binding order.
    fn slices(args: &Self::Args, out: &mut Vec<Slice>);
    /// The host views from buffers in binding order.
    fn host<'a>(bufs: Vec<HostBuf<'a>>) -> Self::Host<'a>;
    /// The byte counts in binding order.
    fn bytes(b: Self::Bytes, out: &mut Vec<u64>);
}

/// A kernel. The value *is* the variant, and as such the key of the pipeline cache.
pub trait Kernel: Bindings + Copy + Eq + Hash + Debug + Send + Sync + 'static {
    /// Every variant this device can run: what tests, the tuner and the documentation enumerate.
    fn all(caps: &Caps) -> Vec<Self>;
    /// What the template of this variant is rendered with.
    fn defines(&self) -> Defines;
    /// Whether a binding that is only read, or only written, lies in a texture
    /// ([`Executor::alloc_texture`](crate::Executor::alloc_texture)): some devices have a shorter way to it than to a
    /// buffer. Where `s` does, vec4 word `i` of it is texel `n = params.s_first + i`, at column `n % TEXELS` of line
    /// `n / TEXELS`.
    fn in_texture(&self, _slot: &str) -> bool {
        false
    }
    /// Number of workgroups; the recording folds it into the grid's dimensions.
    fn groups(&self, p: &Self::Params) -> u64;
    /// Floating-point operations (a multiply-add is two).
    fn flops(&self, p: &Self::Params) -> u64;
    /// Unique bytes moved through each binding; an `update` binding counts what it reads plus what it writes.
    fn traffic(&self, p: &Self::Params) -> Self::Bytes;
    /// Bytes each binding must hold at least: with bounds checks off, nothing beyond is touched.
    fn min_binding_size(&self, p: &Self::Params) -> Self::Bytes;
    /// Random but valid parameters and binding contents for the twin tests; ragged shapes included.
    fn sample(&self, rng: &mut TestRng) -> TestInput<Self::Params>;
    /// The CPU twin: the same parameters, the same names, obvious code, f64 accumulation.
    fn reference(&self, p: &Self::Params, host: Self::Host<'_>);
}

/// What a template is rendered with: WGSL constants and aliases, includes, and template values.
#[derive(Clone, Debug, Default)]
pub struct Defines {
    pub(crate) enables: Vec<&'static str>,
    pub(crate) prelude: String,
    pub(crate) values: BTreeMap<String, Value>,
}

impl Defines {
    /// Nothing defined, for a workgroup of `lanes` invocations.
    #[must_use]
    pub fn new(lanes: u32) -> Self {
        Self::default().u32("LANES", lanes)
    }

    /// A WGSL constant `NAME: u32` that the template sees too (for unrolled loops).
    #[must_use]
    pub fn u32(mut self, name: &str, value: u32) -> Self {
        self.prelude += &format!("const {name}: u32 = {value}u;\n");
        self.values.insert(name.to_owned(), Value::from(value));
        self
    }

    /// A WGSL constant `NAME: f32` that the template sees too. The value must be finite: WGSL has no literal for others.
    #[must_use]
    pub fn f32(mut self, name: &str, value: f32) -> Self {
        self.prelude += &format!("const {name}: f32 = {value:?};\n");
        self.values.insert(name.to_owned(), Value::from(value));
        self
    }

    /// A WGSL type alias.
    #[must_use]
    pub fn alias(mut self, name: &str, wgsl: &str) -> Self {
        self.prelude += &format!("alias {name} = {wgsl};\n");
        self
    }

    /// A template value that WGSL does not see.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// A WGSL language extension, `enable NAME;`.
    #[must_use]
    pub fn enable(mut self, extension: &'static str) -> Self {
        self.enables.push(extension);
        self
    }
}
