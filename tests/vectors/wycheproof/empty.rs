// nothing: see Cargo.toml
