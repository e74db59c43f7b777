# The list of recipes
default:
    @just --list

# What has to pass before anything lands
ci:
    .ci/run

# All tests
test:
    cargo test --workspace

# Format, lints and docs, as CI has them
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps
    cargo deny check bans licenses sources

# Write the generated code again
regen:
    cargo run -p xenapi-codegen

# Take over a newer dump of the datamodel and print what changed
import dump:
    cargo run -p xenapi-codegen -- import {{dump}}

# The benchmarks, against their peers
bench:
    cargo bench -p xenapi-benches

# A fuzz target, for example `just fuzz xml_reply`
fuzz target:
    cargo +nightly fuzz run {{target}}
