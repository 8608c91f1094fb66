//! [`kernel!`](crate::kernel!): one declaration, read by Rust and by WGSL.

/// Declares a kernel's variant fields, parameters and slots; one kernel per module.
///
/// Writes, into the current module, the variant struct, `Params`, `Args`, `Host`, `Bytes` and the
/// [`Bindings`](crate::Bindings) between them. The module imports `array` and `vec4` from
/// [`wgsl`](crate::wgsl) as its slot types need them.
///
/// ```
/// mod scale {
///     use ridgeline_compute::wgsl::array;
///     ridgeline_compute::kernel! {
///         /// y = factor * x.
///         pub struct Scale("scale") { lanes: u32 }
///         params { n: u32, factor: f32 }
///         slots { x: read array<f32>, y: write array<f32> }
///     }
/// }
/// # use ridgeline_compute::Bindings;
/// assert_eq!(scale::Scale::PARAMS[1], ("factor", "f32"));
/// ```
#[macro_export]
macro_rules! kernel {
    (
        $(#[$doc:meta])*
        pub struct $name:ident($stem:literal) { $($(#[$fdoc:meta])* $field:ident: $fty:ty),* $(,)? }
        params { $($(#[$pdoc:meta])* $param:ident: $pty:ident),* $(,)? }
        slots { $($(#[$sdoc:meta])* $slot:ident: $access:ident $sty:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct $name { $($(#[$fdoc])* #[doc = concat!("Variant axis `", stringify!($field), "`.")] pub $field: $fty),* }

        /// The kernel's parameters, passed as immediates.
        #[derive(Clone, Copy, Debug, Default, $crate::bytemuck::Pod, $crate::bytemuck::Zeroable)]
        #[repr(C)]
        #[bytemuck(crate = "ridgeline_compute::bytemuck")]
        pub struct Params { $($(#[$pdoc])* #[doc = concat!("Parameter `", stringify!($param), "`.")] pub $param: $pty),* }

        /// The device slices a launch binds.
        #[derive(Clone, Copy, Debug)]
        pub struct Args { $($(#[$sdoc])* #[doc = concat!("Slot `", stringify!($slot), "`.")] pub $slot: $crate::Slice),* }

        /// The host views a CPU twin works on.
        #[derive(Debug)]
        pub struct Host<'a> {
            $(#[doc = concat!("Slot `", stringify!($slot), "`.")]
              pub $slot: <$crate::wgsl::$access as $crate::wgsl::AccessType>::View<'a, <$sty as $crate::wgsl::SlotType>::Elem>,)*
            #[doc(hidden)] pub _life: std::marker::PhantomData<&'a ()>,
        }

        /// A number of bytes for each slot.
        #[derive(Clone, Copy, Debug)]
        pub struct Bytes { $(#[doc = concat!("Bytes of slot `", stringify!($slot), "`.")] pub $slot: u64),* }

        impl $crate::Bindings for $name {
            const NAME: &'static str = $stem;
            const PARAMS: &'static [(&'static str, &'static str)] = &[$((stringify!($param), stringify!($pty))),*];
            const SLOTS: &'static [$crate::SlotInfo] = &[$($crate::SlotInfo {
                name: stringify!($slot),
                access: <$crate::wgsl::$access as $crate::wgsl::AccessType>::ACCESS,
                wgsl: stringify!($sty),
            }),*];
            type Params = Params;
            type Args = Args;
            type Host<'a> = Host<'a>;
            type Bytes = Bytes;
            fn slices(args: &Args, out: &mut Vec<$crate::Slice>) {
                let _ = (args, &out);
                $(out.push(args.$slot);)*
            }
            fn host<'a>(bufs: Vec<$crate::HostBuf<'a>>) -> Host<'a> {
                let mut bufs = bufs.into_iter();
                let _ = &mut bufs;
                Host {
                    $($slot: <$crate::wgsl::$access as $crate::wgsl::AccessType>::view(
                        bufs.next().expect("one host buffer per slot")),)*
                    _life: std::marker::PhantomData,
                }
            }
            fn bytes(b: Bytes, out: &mut Vec<u64>) {
                let _ = (b, &out);
                $(out.push(b.$slot);)*
            }
        }
    };
}
