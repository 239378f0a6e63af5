//! The export macros: the only place where a plugin meets the component model.
//!
//! Inside a component a macro expands to the exported functions of its world; natively it checks
//! that the trait is implemented and expands to nothing else, so that plugin crates link as ordinary
//! libraries in tests.

/// Makes a type that implements [`Scoring`](crate::Scoring) the plugin of this component.
#[macro_export]
macro_rules! export_scoring {
    ($plugin:ty) => {
        $crate::__export!($plugin, $crate::Scoring, scoring);
    };
}

/// Makes a type that implements [`Proposer`](crate::Proposer) the plugin of this component.
#[macro_export]
macro_rules! export_proposer {
    ($plugin:ty) => {
        $crate::__export!($plugin, $crate::Proposer, proposer);
    };
}

/// Makes a type that implements [`Pii`](crate::Pii) the plugin of this component.
#[macro_export]
macro_rules! export_pii {
    ($plugin:ty) => {
        $crate::__export!($plugin, $crate::Pii, pii);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:ty, $kind:path, $world:ident) => {
        const _: () = {
            const fn implements<T: $kind>() {}
            implements::<$plugin>();
            #[cfg(target_family = "wasm")]
            type Guest = $crate::wasm::$world::Exports<$plugin>;
            #[cfg(target_family = "wasm")]
            $crate::wasm::$world::bindings::export!(
                Guest with_types_in $crate::wasm::$world::bindings
            );
        };
    };
}
