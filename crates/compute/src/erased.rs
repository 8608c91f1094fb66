//! Type-erased kernels, which recordings hold and which are the keys of executors' caches.

use crate::{Access, BindingInfo, Defines, HostBuf, Kernel, Role};
use ridgeline_roofline::Cost;
use std::any::Any;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The object-safe form of [`Kernel`], implemented for every kernel. `params` are the bytes of its parameter block.
pub trait DynKernel: fmt::Debug + Send + Sync {
    /// The kernel's name.
    fn name(&self) -> &'static str;
    /// Names and WGSL types of the parameters.
    fn params(&self) -> &'static [(&'static str, &'static str)];
    /// The bindings.
    fn bindings(&self) -> &'static [BindingInfo];
    /// The constants, aliases and values that the template is rendered with.
    fn defines(&self) -> Defines;
    /// Whether a binding lies in a texture.
    fn in_texture(&self, binding: &BindingInfo) -> bool;
    /// Number of workgroups.
    fn groups(&self, params: &[u8]) -> u64;
    /// The launch's cost. The role of each binding's buffer decides which field counts its traffic. After a run, `contents` has
    /// the words of each binding that was read back. Before it is empty.
    fn cost(&self, params: &[u8], roles: &[Role], contents: &[Option<&[u32]>]) -> Cost;
    /// Bytes that the launch moves through each binding, in binding order.
    fn traffic(&self, params: &[u8]) -> Vec<u64>;
    /// Minimum size of each binding in bytes, in binding order.
    fn min_binding_size(&self, params: &[u8]) -> Vec<u64>;
    /// Runs the CPU twin on buffers in binding order.
    fn reference(&self, params: &[u8], bufs: Vec<HostBuf<'_>>);
    /// Parameter bytes and binding contents for a twin test.
    fn test_input(&self, rng: &mut crate::TestRng) -> (Vec<u8>, Vec<Vec<u32>>);
    #[doc(hidden)]
    fn as_any(&self) -> &dyn Any;
    #[doc(hidden)]
    fn dyn_eq(&self, other: &dyn DynKernel) -> bool;
    #[doc(hidden)]
    fn digest(&self) -> u64;
}

fn params_of<K: Kernel>(bytes: &[u8]) -> K::Params {
    bytemuck::pod_read_unaligned(bytes)
}

impl<K: Kernel> DynKernel for K {
    fn name(&self) -> &'static str {
        K::NAME
    }
    fn params(&self) -> &'static [(&'static str, &'static str)] {
        K::PARAMS
    }
    fn bindings(&self) -> &'static [BindingInfo] {
        K::BINDINGS
    }
    fn defines(&self) -> Defines {
        Kernel::defines(self)
    }
    fn in_texture(&self, binding: &BindingInfo) -> bool {
        let texture = Kernel::in_texture(self, binding.name);
        debug_assert!(
            !texture || binding.access != Access::Update,
            "{self:?}: binding {} is in a texture, which cannot be updated in place",
            binding.name
        );
        texture
    }
    fn groups(&self, params: &[u8]) -> u64 {
        Kernel::groups(self, &params_of::<K>(params))
    }
    fn cost(&self, params: &[u8], roles: &[Role], contents: &[Option<&[u32]>]) -> Cost {
        let p = params_of::<K>(params);
        let mut cost = Cost { flops: self.flops(&p), launches: 1, ..Cost::ZERO };
        let mut bytes = Vec::with_capacity(roles.len());
        let known = contents.iter().any(Option::is_some);
        let traffic = if known { self.traffic_given(&p, contents) } else { Kernel::traffic(self, &p) };
        K::bytes(traffic, &mut bytes);
        for ((binding, &role), &n) in K::BINDINGS.iter().zip(roles).zip(&bytes) {
            add_traffic(&mut cost, binding.access, role, n);
        }
        cost
    }
    fn traffic(&self, params: &[u8]) -> Vec<u64> {
        let mut bytes = Vec::with_capacity(K::BINDINGS.len());
        K::bytes(Kernel::traffic(self, &params_of::<K>(params)), &mut bytes);
        bytes
    }
    fn min_binding_size(&self, params: &[u8]) -> Vec<u64> {
        let mut bytes = Vec::new();
        K::bytes(Kernel::min_binding_size(self, &params_of::<K>(params)), &mut bytes);
        bytes
    }
    fn reference(&self, params: &[u8], bufs: Vec<HostBuf<'_>>) {
        Kernel::reference(self, &params_of::<K>(params), K::host(bufs));
    }
    fn test_input(&self, rng: &mut crate::TestRng) -> (Vec<u8>, Vec<Vec<u32>>) {
        let input = Kernel::test_input(self, rng);
        (bytemuck::bytes_of(&input.params).to_vec(), input.bindings)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn dyn_eq(&self, other: &dyn DynKernel) -> bool {
        other.as_any().downcast_ref::<K>() == Some(self)
    }
    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        K::NAME.hash(&mut hasher);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// Adds a binding's `n` bytes to the field for its role and access. An update reads half of them and writes half.
fn add_traffic(cost: &mut Cost, access: Access, role: Role, n: u64) {
    let (read, written) = match access {
        Access::Read => (n, 0),
        Access::Write => (0, n),
        Access::Update => (n / 2, n - n / 2),
    };
    match role {
        Role::Weights => cost.weights += read + written,
        Role::Kv => {
            cost.kv_read += read;
            cost.kv_write += written;
        }
        Role::Activation => {
            cost.activation_read += read;
            cost.activation_write += written;
        }
    }
}

/// A kernel variant as a value: equal when kernel and variant are equal.
#[derive(Clone)]
pub struct AnyKernel(Arc<dyn DynKernel>);

impl AnyKernel {
    /// Erases a kernel's type.
    pub fn new<K: Kernel>(kernel: K) -> Self {
        Self(Arc::new(kernel))
    }

    /// The kernel, if it is a `K`.
    #[must_use]
    pub fn downcast<K: Kernel>(&self) -> Option<&K> {
        self.0.as_any().downcast_ref()
    }

    /// A name that is unique per variant: the kernel's debug form.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl std::ops::Deref for AnyKernel {
    type Target = dyn DynKernel;
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for AnyKernel {
    fn eq(&self, other: &Self) -> bool {
        self.0.dyn_eq(&*other.0)
    }
}

impl Eq for AnyKernel {}

impl Hash for AnyKernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.digest());
    }
}

impl fmt::Debug for AnyKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
