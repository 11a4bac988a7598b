//! What is known of tables before any code runs: those that nothing can change, and of what types the functions are that they hold.
//!
//! A table that is neither imported nor exported is changed only by the module's own instructions, and by the runtime, which puts C functions into
//! [some](Module::takes_native_functions). If neither does, its elements are what active segments left there: null, or one of the functions that the
//! segments name. Nothing more is concluded. In particular any element may be null, even one that a segment covers: an
//! instantiation may fail before its segments are copied and leave a function behind in a table of another instance.

use super::Body;
use wasmbridge_artifact::module::{ConstExpr, ConstOp, ElementItems, ExternIndex, Module, SegmentMode};
use wasmparser::Operator;

/// What is known of a table.
#[derive(Debug, Default)]
pub(crate) struct KnownTable {
    /// Its length never changes: it is the type's minimum.
    pub(crate) fixed_len: bool,
    /// What is in it, if that never changes.
    pub(crate) contents: Option<Contents>,
}

/// The elements of a table that never changes: null, or functions like these.
#[derive(Debug)]
pub(crate) struct Contents {
    /// the types of the functions, by index
    pub(crate) types: Vec<u32>,
    /// the module defines all of the functions itself
    pub(crate) own: bool,
}

/// What instructions do to a table.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    written: bool,
    grown: bool,
}

/// What is known of each table of a module.
pub(super) fn known(module: &Module, bodies: &[Body<'_>]) -> Vec<KnownTable> {
    let imported = module.imported_tables();
    let exported = |table| module.exports.iter().any(|export| export.item == ExternIndex::Table(table));
    let private = |table: u32| table as usize >= imported && !exported(table) && !module.takes_native_functions(table);
    let private: Vec<bool> = (0..module.tables.len() as u32).map(private).collect();
    let changes = changes(&private, bodies);
    let known = |table: usize| {
        let (ty, change) = (&module.tables[table], changes[table]);
        let changes = change.written || change.grown || !private[table];
        KnownTable {
            fixed_len: ty.maximum == Some(ty.minimum) || (private[table] && !change.grown),
            contents: if changes { None } else { contents(module, table as u32) },
        }
    };
    (0..module.tables.len()).map(known).collect()
}

/// What the instructions of all bodies do to each of the tables that are asked for. It is not looked at more of them than needed.
fn changes(asked: &[bool], bodies: &[Body<'_>]) -> Vec<Change> {
    let mut changes = vec![Change::default(); asked.len()];
    let all =
        |changes: &[Change]| asked.iter().zip(changes).all(|(asked, change)| !asked || change.written && change.grown);
    for body in bodies {
        if all(&changes) {
            break;
        }
        // What cannot be read is refused when it is translated.
        let Ok(mut operators) = body.body.get_operators_reader() else { break };
        while !operators.eof() {
            let Ok(operator) = operators.read() else { break };
            let (table, written) = match operator {
                Operator::TableSet { table }
                | Operator::TableFill { table }
                | Operator::TableInit { table, .. }
                | Operator::TableCopy { dst_table: table, .. } => (table, true),
                Operator::TableGrow { table } => (table, false),
                _ => continue,
            };
            // The validator has not seen the instruction yet: there may be no such table.
            if let Some(change) = changes.get_mut(table as usize) {
                change.written |= written;
                change.grown |= !written;
            }
        }
    }
    changes
}

/// What the segments and the initial value put into a table. `None` if that is not known.
fn contents(module: &Module, table: u32) -> Option<Contents> {
    let mut functions = Vec::new();
    let init = module.table_inits[table as usize - module.imported_tables()].as_ref();
    if let Some(init) = init {
        functions.extend(function(init)?);
    }
    for segment in &module.elements {
        if !matches!(segment.mode, SegmentMode::Active { index, .. } if index == table) {
            continue;
        }
        match &segment.items {
            ElementItems::Functions(items) => functions.extend(items),
            ElementItems::Expressions(items) => {
                for item in items {
                    functions.extend(function(item)?);
                }
            }
        }
    }
    let own = functions.iter().all(|&function| function as usize >= module.imported_functions());
    let mut types: Vec<u32> = functions.into_iter().map(|function| module.functions[function as usize]).collect();
    types.sort_unstable();
    types.dedup();
    Some(Contents { types, own })
}

/// The function of a constant expression, or none for null. `None` if it is anything else.
fn function(expr: &ConstExpr) -> Option<Option<u32>> {
    match expr.0.as_slice() {
        [ConstOp::RefNull(_)] => Some(None),
        [ConstOp::RefFunc(function)] => Some(Some(*function)),
        _ => None,
    }
}
