//! The packed worlds, generated from the contract by wit-bindgen.
//!
//! With `pub_export_macro`, a module contains the type of a world only if it uses
//! that world's export macro. A filter without state uses the first macro. A filter
//! with state uses the first two, whose types are merged when the module becomes a
//! component: together they are the world `stateful-packed-filter`. A filter that
//! holds records uses only the third.

#![allow(unsafe_code, reason = "generated: what crosses the boundary is raw memory")]
#![allow(missing_docs, clippy::all, rustdoc::all, reason = "generated from wit/v1 and wit/v2")]

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

/// What `stateful-packed-filter` adds to `packed-filter`.
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

/// The world `holding-filter`, with the host interface of version 1, which is identical, so that all kinds of filters
/// call the same functions.
pub mod holding {
    wit_bindgen::generate!({
        path: ["../../wit/v1", "../../wit/v2"],
        inline: "
            package weir:guest;
            world holding {
                import weir:filter/host@1.0.0;
                export weir:filter/lifecycle@2.0.0;
                export weir:filter/holding@2.0.0;
            }
        ",
        world: "weir:guest/holding",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_holding",
        default_bindings_module: "weir_guest::bindings::holding",
        runtime_path: "weir_guest::wit_bindgen::rt",
    });
}
