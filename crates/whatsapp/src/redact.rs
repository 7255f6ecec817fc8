//! `Debug` that names the type and a few harmless fields, never the rest.

/// Implements `Debug` for types that hold personal data. Only the fields named are printed; `..` stands for the others.
macro_rules! redacted_debug {
    ($($name:ident { $($field:ident),* $(,)? }),+ $(,)?) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter
                    .debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        }
    )+};
}

pub(crate) use redacted_debug;
