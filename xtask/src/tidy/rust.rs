//! Reads Rust files once, into just what the rules ask about: paths, calls, functions, modules.
//!
//! Paths come from the token stream, so that code inside macro calls is seen too, and are spelled
//! out through the file's own `use` items: `time::Instant` becomes `std::time::Instant`.

use super::{File, Problem, Tree};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// What one Rust file contains, as far as the rules care.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a File,
    /// Paths of one or more segments with their lines, imports resolved. `use a::*` reads `a::*`.
    pub(crate) paths: Vec<(String, usize)>,
    /// Methods called, `.name(`.
    pub(crate) methods: Vec<MethodCall>,
    /// Names of macros called, `name!`, with their lines.
    pub(crate) macros: Vec<(String, usize)>,
    /// First words of attributes, `#[name…]`, with their lines.
    pub(crate) attributes: Vec<(String, usize)>,
    pub(crate) functions: Vec<Function>,
    /// Modules declared or defined here, with their lines.
    pub(crate) modules: Vec<(String, usize)>,
    test_lines: Vec<(usize, usize)>,
}

/// A method that is called.
#[derive(Debug)]
pub(crate) struct MethodCall {
    pub(crate) name: String,
    /// How many arguments it is given, the receiver not counted.
    pub(crate) arguments: usize,
    pub(crate) line: usize,
}

/// A function and its length in lines, from `fn` to the closing brace. Data is read at a glance and counts less: a
/// table, that is one `match` at the end whose arms only name values, one line an arm; a list of literals, one line.
#[derive(Debug)]
pub(crate) struct Function {
    /// `name`, or `Type::name` in an impl or trait.
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source<'_> {
    /// Whether the line belongs to test code: a test file, or an item under `#[cfg(test)]`.
    pub(crate) fn in_test(&self, line: usize) -> bool {
        is_test_file(&self.file.path) || self.test_lines.iter().any(|&(from, to)| (from..=to).contains(&line))
    }
}

/// Whether the whole file is test code by its place.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.split('/').rev().skip(1).any(|folder| matches!(folder, "tests" | "benches" | "fuzz"))
}

/// Parses every `.rs` file; one that does not parse is a problem of its own.
pub(crate) fn parse_all(tree: &Tree) -> (Vec<Source<'_>>, Vec<Problem>) {
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.ends_with(&[".rs"])) {
        match parse(file) {
            Ok(source) => sources.push(source),
            Err(error) => {
                let line = error.span().start().line;
                problems.push(Problem::new(&file.path, line, "syntax", format!("make it parse: {error}")));
            }
        }
    }
    (sources, problems)
}

fn parse(file: &File) -> syn::Result<Source<'_>> {
    let parsed = syn::parse_file(&file.text)?;
    let mut items = Items::default();
    items.visit_file(&parsed);
    let mut source = Source {
        file,
        paths: items.used,
        methods: Vec::new(),
        macros: Vec::new(),
        attributes: Vec::new(),
        functions: items.functions,
        modules: items.modules,
        test_lines: items.test_lines,
    };
    let tokens: TokenStream = file.text.parse().map_err(|error: proc_macro2::LexError| {
        syn::Error::new(error.span(), "could not be split into tokens")
    })?;
    read_tokens(tokens, &items.names, &mut source);
    Ok(source)
}

/// Walks the tokens and notes paths, method calls, macro calls and attributes.
fn read_tokens(stream: TokenStream, names: &BTreeMap<String, String>, source: &mut Source<'_>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        match tree {
            TokenTree::Group(group) => {
                if at > 0 && group.delimiter() == Delimiter::Bracket && is_attribute(&trees, at) {
                    let first = group.stream().into_iter().next();
                    if let Some(TokenTree::Ident(name)) = first {
                        source.attributes.push((name.to_string(), name.span().start().line));
                    }
                }
                read_tokens(group.stream(), names, source);
                at += 1;
            }
            TokenTree::Ident(ident) => {
                let line = ident.span().start().line;
                let after_dot = at > 0 && is_punct(trees.get(at - 1), '.');
                let (path, next) = path_from(&trees, at);
                if after_dot {
                    if let Some(TokenTree::Group(group)) = trees.get(next)
                        && group.delimiter() == Delimiter::Parenthesis
                    {
                        let arguments = arguments(group.stream());
                        source.methods.push(MethodCall { name: path, arguments, line });
                    }
                } else {
                    if is_punct(trees.get(next), '!')
                        && matches!(trees.get(next + 1), Some(TokenTree::Group(_)))
                    {
                        source.macros.push((path.clone(), line));
                    }
                    source.paths.push((resolve(&path, names), line));
                }
                at = next;
            }
            _ => at += 1,
        }
    }
}

/// How many arguments stand between two parentheses; the comma after the last one is not counted.
fn arguments(between: TokenStream) -> usize {
    let trees: Vec<TokenTree> = between.into_iter().collect();
    let commas = (0..trees.len()).filter(|at| is_punct(trees.get(*at), ',')).count();
    match trees.last() {
        None => 0,
        last if is_punct(last, ',') => commas,
        Some(_) => commas + 1,
    }
}

fn is_attribute(trees: &[TokenTree], at: usize) -> bool {
    is_punct(trees.get(at - 1), '#')
        || (at > 1 && is_punct(trees.get(at - 1), '!') && is_punct(trees.get(at - 2), '#'))
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// The path that starts at token `at`, and the index of the first token after it.
fn path_from(trees: &[TokenTree], mut at: usize) -> (String, usize) {
    let mut path = String::new();
    while let Some(TokenTree::Ident(ident)) = trees.get(at) {
        path.push_str(&ident.to_string());
        at += 1;
        let joined = is_punct(trees.get(at), ':') && is_punct(trees.get(at + 1), ':');
        if !joined || !matches!(trees.get(at + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        path.push_str("::");
        at += 2;
    }
    (path, at)
}

/// Spells out a path's first segment through the file's imports.
fn resolve(path: &str, names: &BTreeMap<String, String>) -> String {
    let (first, rest) = path.split_once("::").map_or((path, ""), |(first, rest)| (first, rest));
    match names.get(first) {
        Some(full) if rest.is_empty() => full.clone(),
        Some(full) => format!("{full}::{rest}"),
        None => path.to_owned(),
    }
}

/// Collects what only the syntax tree tells: imports, functions, modules, test ranges.
#[derive(Default)]
struct Items {
    names: BTreeMap<String, String>,
    used: Vec<(String, usize)>,
    functions: Vec<Function>,
    modules: Vec<(String, usize)>,
    test_lines: Vec<(usize, usize)>,
    owner: Option<String>,
}

impl Items {
    fn function(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let line = sig.fn_token.span.start().line;
        let end = block.brace_token.span.close().end().line;
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", sig.ident),
            None => sig.ident.to_string(),
        };
        let lines = match table(block) {
            Some((lines, rows)) => end + 1 - line - lines + rows,
            None => end + 1 - line - Lists::in_block(block),
        };
        self.functions.push(Function { name, line, lines });
    }

    fn owned_by(&mut self, owner: Option<String>, walk: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.owner, owner);
        walk(self);
        self.owner = before;
    }

    fn flatten(&mut self, prefix: &str, tree: &syn::UseTree) {
        let join = |name: &syn::Ident| {
            if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") }
        };
        match tree {
            syn::UseTree::Path(path) => self.flatten(&join(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.import(prefix.to_owned(), None, name.ident.span())
            }
            syn::UseTree::Name(name) => self.import(join(&name.ident), None, name.ident.span()),
            syn::UseTree::Rename(rename) => {
                let full = if rename.ident == "self" { prefix.to_owned() } else { join(&rename.ident) };
                self.import(full, Some(rename.rename.to_string()), rename.ident.span());
            }
            syn::UseTree::Glob(glob) => self.used.push((format!("{prefix}::*"), glob.span().start().line)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.flatten(prefix, tree)),
        }
    }

    fn import(&mut self, full: String, alias: Option<String>, span: proc_macro2::Span) {
        self.used.push((full.clone(), span.start().line));
        let last = full.rsplit("::").next().unwrap_or(&full).to_owned();
        self.names.insert(alias.unwrap_or(last), full);
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes_of(item).iter().any(is_test_only) {
            let span = item.span();
            self.test_lines.push((span.start().line, span.end().line));
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.flatten("", &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.modules.push((item.ident.to_string(), item.ident.span().start().line));
        visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        self.owned_by(None, |items| visit::visit_item_fn(items, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        };
        self.owned_by(owner, |items| visit::visit_item_impl(items, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.owned_by(Some(item.ident.to_string()), |items| visit::visit_item_trait(items, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// Counts the lines that lists of literals take beyond one each.
#[derive(Default)]
struct Lists {
    lines: usize,
}

impl Lists {
    fn in_block(block: &syn::Block) -> usize {
        let mut lists = Lists::default();
        lists.visit_block(block);
        lists.lines
    }
}

impl<'ast> Visit<'ast> for Lists {
    fn visit_expr_array(&mut self, array: &'ast syn::ExprArray) {
        if array.elems.iter().all(is_literal) {
            self.lines += array.span().end().line - array.span().start().line;
        } else {
            visit::visit_expr_array(self, array);
        }
    }
}

/// A literal, or literals put together.
fn is_literal(value: &syn::Expr) -> bool {
    match value {
        syn::Expr::Lit(_) => true,
        syn::Expr::Array(array) => array.elems.iter().all(is_literal),
        syn::Expr::Tuple(tuple) => tuple.elems.iter().all(is_literal),
        syn::Expr::Reference(reference) => is_literal(&reference.expr),
        _ => false,
    }
}

/// How many lines of `block` are a table, and how many rows that has: its last statement is a `match` whose arms only
/// name values, and before that there are only items.
fn table(block: &syn::Block) -> Option<(usize, usize)> {
    let (last, before) = block.stmts.split_last()?;
    let syn::Stmt::Expr(syn::Expr::Match(table), None) = last else { return None };
    let is_table = before.iter().all(|stmt| matches!(stmt, syn::Stmt::Item(_)))
        && table.arms.iter().all(|arm| names_a_value(&arm.body));
    let lines = table.span().end().line + 1 - table.span().start().line;
    is_table.then_some((lines, table.arms.len()))
}

/// Whether an arm does no more than name a value; rustfmt puts braces around a long one.
fn names_a_value(arm: &syn::Expr) -> bool {
    use syn::Expr::{Block, Call, Lit, Macro, Path, Struct, Tuple};
    match arm {
        Block(block) => {
            matches!(block.block.stmts.as_slice(), [syn::Stmt::Expr(only, None)] if names_a_value(only))
        }
        _ => matches!(arm, Call(_) | Lit(_) | Macro(_) | Path(_) | Struct(_) | Tuple(_)),
    }
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]` exactly: `cfg(any(test, …))` also ships, so it is no exemption.
fn is_test_only(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}
