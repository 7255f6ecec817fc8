//! Compiles the contract with protox and writes `Debug` implementations that keep personal data out of logs.

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, OneofDescriptor};
use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

const PROTO_DIR: &str = "assent/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_DIR}");
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let mut files: Vec<PathBuf> = fs::read_dir(PROTO_DIR)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    // Read in a fixed order, so that the same sources give the same bytes on every machine.
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(files)?;
    fs::write(
        out_dir.join("assent_v1_descriptor.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let messages = messages_with_personal_data(&compiler.descriptor_pool());
    let paths: Vec<String> = messages
        .iter()
        .map(|message| format!(".{}", message.full_name()))
        .collect();
    let mut code = String::new();
    for message in &messages {
        write_debug(&mut code, message)?;
    }
    fs::write(out_dir.join("redacted_debug.rs"), code)?;

    tonic_prost_build::configure()
        .btree_map(".")
        .skip_debug(paths)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The messages of ours with a field marked `debug_redact`.
fn messages_with_personal_data(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages()
        .filter(|message| message.package_name() == "assent.v1")
        .filter(|message| message.fields().any(|field| is_redacted(&field)))
        .collect()
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    field
        .options()
        .get_field_by_name("debug_redact")
        .and_then(|value| value.as_bool())
        .unwrap_or(false)
}

/// Writes `Debug` of one message and of its oneofs: each field by name, the redacted ones without their value.
fn write_debug(code: &mut String, message: &MessageDescriptor) -> Result<(), Box<dyn Error>> {
    let name = message.name();
    writeln!(code, "impl ::core::fmt::Debug for {name} {{")?;
    writeln!(
        code,
        "fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{"
    )?;
    writeln!(code, "f.debug_struct(\"{name}\")")?;
    for field in message.fields().filter(|field| field.containing_oneof().is_none()) {
        let field_name = field.name();
        if is_redacted(&field) {
            writeln!(code, ".field(\"{field_name}\", &format_args!(\"<redacted>\"))")?;
        } else {
            writeln!(code, ".field(\"{field_name}\", &self.{})", rust_field(field_name))?;
        }
    }
    for oneof in message.oneofs() {
        writeln!(
            code,
            ".field(\"{0}\", &self.{1})",
            oneof.name(),
            rust_field(oneof.name())
        )?;
    }
    writeln!(code, ".finish()\n}}\n}}")?;
    for oneof in message.oneofs() {
        write_oneof_debug(code, message, &oneof)?;
    }
    Ok(())
}

fn write_oneof_debug(
    code: &mut String,
    message: &MessageDescriptor,
    oneof: &OneofDescriptor,
) -> Result<(), Box<dyn Error>> {
    let path = format!("{}::{}", snake_case(message.name()), camel_case(oneof.name()));
    writeln!(code, "impl ::core::fmt::Debug for {path} {{")?;
    writeln!(
        code,
        "fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\nmatch self {{"
    )?;
    for field in oneof.fields() {
        let variant = camel_case(field.name());
        if is_redacted(&field) {
            writeln!(code, "Self::{variant}(_) => f.write_str(\"{variant}(<redacted>)\"),")?;
        } else {
            writeln!(
                code,
                "Self::{variant}(value) => f.debug_tuple(\"{variant}\").field(value).finish(),"
            )?;
        }
    }
    writeln!(code, "}}\n}}\n}}")?;
    Ok(())
}

/// The name prost gives a field; ours are snake case, so only Rust's keywords differ.
fn rust_field(name: &str) -> String {
    match name {
        "type" | "final" => format!("r#{name}"),
        _ => name.to_owned(),
    }
}

fn camel_case(name: &str) -> String {
    let capitalize = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_ascii_uppercase().to_string() + letters.as_str()
        })
    };
    name.split('_').map(capitalize).collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
