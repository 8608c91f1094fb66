//! The linker: assembles a kernel's WGSL from its declaration, its body and the files it includes.
//!
//! Templates are WGSL with `//#` line statements (`include`, `if`, `for`, `with`) and `${ }` values.
//! Types and sizes are `alias` and `const` lines of a generated prelude, so a body reads as plain WGSL.

use crate::{Access, DynKernel, Error, TEXTURE_WIDTH};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

/// One rendered shader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The kernel variant, for debug labels and error messages.
    pub label: String,
    /// The complete WGSL module; its entry point is `main`.
    pub wgsl: String,
}

/// Renders kernels from a set of WGSL files.
#[derive(Debug)]
pub struct Linker {
    environment: Environment<'static>,
}

impl Linker {
    /// A linker over `(path, text)` files.
    ///
    /// # Errors
    /// [`Error::Shader`] if a file is not a valid template.
    pub fn new(files: &'static [(&'static str, &'static str)]) -> Result<Self, Error> {
        let bad =
            |file: &str, e: &minijinja::Error| Error::Shader { kernel: file.to_owned(), reason: chain(e) };
        let syntax = SyntaxConfig::builder()
            .line_statement_prefix("//#")
            .variable_delimiters("${", "}")
            .block_delimiters("<%", "%>")
            .comment_delimiters("<#", "#>")
            .keep_trailing_newline(true)
            .build()
            .map_err(|e| bad("syntax", &e))?;
        let mut environment = Environment::new();
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_debug(true);
        for (path, text) in files {
            environment.add_template(path, text).map_err(|e| bad(path, &e))?;
        }
        Ok(Self { environment })
    }

    /// The complete WGSL of a kernel variant.
    ///
    /// # Errors
    /// [`Error::Shader`], with file and line, if the kernel's file is missing or does not render.
    pub fn render(&self, kernel: &dyn DynKernel) -> Result<Rendered, Error> {
        let label = format!("{kernel:?}");
        let bad = |e: minijinja::Error| Error::Shader { kernel: label.clone(), reason: chain(&e) };
        let defines = kernel.defines();
        let path = format!("kernel/{}.wgsl", kernel.name());
        let template = self.environment.get_template(&path).map_err(bad)?;
        let values = Value::from_pairs(defines.values.iter().map(|(k, v)| (k.clone(), v.clone())));
        let body = template.render(values).map_err(bad)?;
        let mut wgsl = String::with_capacity(body.len() + 1024);
        wgsl += &format!("// {label}\n");
        for extension in &defines.enables {
            wgsl += &format!("enable {extension};\n");
        }
        wgsl += &defines.prelude;
        header(&mut wgsl, kernel);
        wgsl += &body;
        Ok(Rendered { label, wgsl })
    }
}

/// Writes the parameter struct and the bindings.
fn header(wgsl: &mut String, kernel: &dyn DynKernel) {
    let textures: Vec<_> = kernel.bindings().iter().filter(|binding| kernel.in_texture(binding)).collect();
    if !kernel.params().is_empty() || !textures.is_empty() {
        *wgsl += "struct Params {\n";
        for (name, wgsl_type) in kernel.params() {
            *wgsl += &format!("    {name}: {wgsl_type},\n");
        }
        for binding in &textures {
            *wgsl += &format!("    {}_first: u32,\n", binding.name);
        }
        *wgsl += "}\nvar<immediate> params: Params;\n";
    }
    if !textures.is_empty() {
        *wgsl += &format!("const TEXTURE_WIDTH: u32 = {TEXTURE_WIDTH}u;\n");
    }
    for (index, binding) in kernel.bindings().iter().enumerate() {
        if kernel.in_texture(binding) {
            let access = if binding.access == Access::Read { "read" } else { "write" };
            let ty = format!("texture_storage_2d<rgba32uint, {access}>");
            *wgsl += &format!("@group(0) @binding({index}) var {}: {ty};\n", binding.name);
            continue;
        }
        let access = if binding.access == Access::Read { "read" } else { "read_write" };
        let (name, ty) = (binding.name, binding.wgsl);
        *wgsl += &format!("@group(0) @binding({index}) var<storage, {access}> {name}: {ty};\n");
    }
}

/// A template error with its chain of causes. The outermost error of an include says only "could not render include".
fn chain(error: &minijinja::Error) -> String {
    let mut text = format!("{error:#}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause:#}");
        source = cause.source();
    }
    text
}
