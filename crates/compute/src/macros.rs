//! [`kernel!`](crate::kernel!): one declaration of a kernel's interface, for Rust and for WGSL.

/// Declares a kernel's variant fields, parameters and bindings. A module holds one kernel.
///
/// Defines the variant struct, `Params`, `Args`, `Host` and `Bytes` in the current module, and implements
/// [`Bindings`](crate::Bindings). The module imports `array` and `vec4` from [`wgsl`](crate::wgsl) if needed.
///
/// ```
/// mod scale {
///     use ridgeline_compute::wgsl::array;
///     ridgeline_compute::kernel! {
///         /// y = factor * x.
///         pub struct Scale("scale") { workgroup_size: u32 }
///         params { n: u32, factor: f32 }
///         bindings { x: read array<f32>, y: write array<f32> }
///     }
/// }
/// # use ridgeline_compute::Bindings;
/// assert_eq!(scale::Scale::PARAMS[1], ("factor", "f32"));
/// ```
#[macro_export]
macro_rules! kernel {
    (
        $(#[$doc:meta])*
        pub struct $name:ident($base_name:literal) { $($(#[$fdoc:meta])* $field:ident: $fty:ty),* $(,)? }
        params { $($(#[$pdoc:meta])* $param:ident: $pty:ident),* $(,)? }
        bindings { $($(#[$bdoc:meta])* $binding:ident: $access:ident $bty:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct $name { $($(#[$fdoc])* #[doc = concat!("Variant axis `", stringify!($field), "`.")] pub $field: $fty),* }

        /// The kernel's parameters, passed as immediates.
        #[derive(Clone, Copy, Debug, Default, $crate::bytemuck::Pod, $crate::bytemuck::Zeroable)]
        #[repr(C)]
        #[bytemuck(crate = "ridgeline_compute::bytemuck")]
        pub struct Params { $($(#[$pdoc])* #[doc = concat!("Parameter `", stringify!($param), "`.")] pub $param: $pty),* }

        /// The device slices that a launch binds.
        #[derive(Clone, Copy, Debug)]
        pub struct Args { $($(#[$bdoc])* #[doc = concat!("Binding `", stringify!($binding), "`.")] pub $binding: $crate::Slice),* }

        /// The host views of the CPU twin.
        #[derive(Debug)]
        pub struct Host<'a> {
            $(#[doc = concat!("Binding `", stringify!($binding), "`.")]
              pub $binding: <$crate::wgsl::$access as $crate::wgsl::AccessType>::View<'a, <$bty as $crate::wgsl::BindingType>::Elem>,)*
            #[doc(hidden)] pub _life: std::marker::PhantomData<&'a ()>,
        }

        /// A number of bytes for each binding.
        #[derive(Clone, Copy, Debug)]
        pub struct Bytes { $(#[doc = concat!("Bytes of binding `", stringify!($binding), "`.")] pub $binding: u64),* }

        impl $crate::Bindings for $name {
            const NAME: &'static str = $base_name;
            const PARAMS: &'static [(&'static str, &'static str)] = &[$((stringify!($param), stringify!($pty))),*];
            const BINDINGS: &'static [$crate::BindingInfo] = &[$($crate::BindingInfo {
                name: stringify!($binding),
                access: <$crate::wgsl::$access as $crate::wgsl::AccessType>::ACCESS,
                wgsl: stringify!($bty),
            }),*];
            type Params = Params;
            type Args = Args;
            type Host<'a> = Host<'a>;
            type Bytes = Bytes;
            fn slices(args: &Args, out: &mut Vec<$crate::Slice>) {
                let _ = (args, &out);
                $(out.push(args.$binding);)*
            }
            fn host<'a>(bufs: Vec<$crate::HostBuf<'a>>) -> Host<'a> {
                let mut bufs = bufs.into_iter();
                let _ = &mut bufs;
                Host {
                    $($binding: <$crate::wgsl::$access as $crate::wgsl::AccessType>::view(
                        bufs.next().expect("one host buffer per binding")),)*
                    _life: std::marker::PhantomData,
                }
            }
            fn bytes(b: Bytes, out: &mut Vec<u64>) {
                let _ = (b, &out);
                $(out.push(b.$binding);)*
            }
        }
    };
}
