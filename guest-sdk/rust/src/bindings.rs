//! The packed worlds, as wit-bindgen makes them from the contract.
//!
//! With `pub_export_macro` the type of a world enters a module only where its
//! export macro is used. A filter without state uses the first macro; one with
//! state uses both, and the two types are merged when the module becomes a
//! component: together they are the world `stateful-packed-filter`.

#![allow(unsafe_code, reason = "generated: what crosses the boundary is raw memory")]
#![allow(missing_docs, clippy::all, rustdoc::all, reason = "generated from wit/v1/filter.wit")]

/// The world `packed-filter`.
pub mod packed {
    wit_bindgen::generate!({
        path: "../../wit/v1",
        world: "packed-filter",
        pub_export_macro: true,
        export_macro_name: "export_packed",
        default_bindings_module: "weir_guest::bindings::packed",
        runtime_path: "weir_guest::wit_bindgen::rt",
    });
}

/// What `stateful-packed-filter` has beyond `packed-filter`.
pub mod state {
    wit_bindgen::generate!({
        path: "../../wit/v1",
        inline: "
            package weir:guest;
            world state {
                export weir:filter/packed-state@1.0.0;
            }
        ",
        world: "weir:guest/state",
        pub_export_macro: true,
        export_macro_name: "export_state",
        default_bindings_module: "weir_guest::bindings::state",
        runtime_path: "weir_guest::wit_bindgen::rt",
    });
}
