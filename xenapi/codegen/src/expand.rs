//! All messages of a class: the written ones and those that follow from the class and its fields.

use crate::model::{Class, Derived, Field, Lifecycle, Literal, Message, Param, Qualifier, Role, Type};

/// A message, wherever it comes from.
#[derive(Clone, Debug)]
pub struct Expanded<'a> {
    /// The name on the wire, without the class.
    pub name: String,
    /// Where it comes from.
    pub operation: Operation<'a>,
    /// The arguments without the session.
    pub params: Vec<Param>,
    /// What it answers with, if anything.
    pub result: Option<Type>,
    /// The least role.
    pub role: Role,
    /// What became of it in which release.
    pub lifecycle: &'a Lifecycle,
    /// Whether it has an `Async.` form.
    pub has_async: bool,
    /// Whether it does more than read or write the database.
    pub effect: bool,
}

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation<'a> {
    /// It is written down.
    Written(&'a Message),
    /// It reads a field.
    Get(&'a Field),
    /// It writes a field.
    Set(&'a Field),
    /// It adds to a field that is a set or a map.
    Add(&'a Field),
    /// It takes out of a field that is a set or a map.
    Remove(&'a Field),
    /// It belongs to the class; never [`Derived::Get`] or [`Derived::Set`].
    Object(Derived),
}

/// The messages of a class: of the class itself, of its fields, and the written ones.
pub fn messages(class: &Class) -> Vec<Expanded<'_>> {
    let mut messages: Vec<_> = class
        .allows
        .iter()
        .filter_map(|&(derived, role)| object(class, derived, role))
        .collect();
    for field in &class.fields {
        of_field(class, field, &mut messages);
    }
    messages.extend(class.messages.iter().map(|message| Expanded {
        name: message.name.clone(),
        operation: Operation::Written(message),
        params: message.params.clone(),
        result: message.result.clone(),
        role: message.role,
        lifecycle: &message.lifecycle,
        has_async: !message.flags.sync,
        effect: !message.flags.no_effect,
    }));
    messages
}

fn object(class: &Class, derived: Derived, role: Role) -> Option<Expanded<'_>> {
    let reference = || Type::Ref(class.name.clone());
    let record = || Type::Record(class.name.clone());
    let object = || vec![required("self", reference())];
    let (params, result) = match derived {
        Derived::Get | Derived::Set => return None,
        Derived::GetRecord => (object(), Some(record())),
        Derived::GetByUuid => (vec![required("uuid", Type::String)], Some(reference())),
        Derived::GetByNameLabel => (
            vec![required("label", Type::String)],
            Some(Type::Set(reference().into())),
        ),
        Derived::GetAll => (Vec::new(), Some(Type::Set(reference().into()))),
        Derived::GetAllRecords => (Vec::new(), Some(Type::Map(reference().into(), record().into()))),
        Derived::Create => (vec![required("args", record())], Some(reference())),
        Derived::Destroy => (object(), None),
    };
    let changes = matches!(derived, Derived::Create | Derived::Destroy);
    Some(Expanded {
        name: derived.word().to_owned(),
        operation: Operation::Object(derived),
        params,
        result,
        role,
        lifecycle: &class.lifecycle,
        has_async: changes,
        effect: changes,
    })
}

fn of_field<'a>(class: &'a Class, field: &'a Field, messages: &mut Vec<Expanded<'a>>) {
    let mut push = |operation, name: String, role, more: Vec<Param>, result| {
        let mut params = vec![required("self", Type::Ref(class.name.clone()))];
        params.extend(more);
        messages.push(Expanded {
            name,
            operation,
            params,
            result,
            role,
            lifecycle: &field.lifecycle,
            has_async: false,
            effect: field.effect,
        });
    };
    let name = &field.name;
    if let Some(role) = class.role_of(Derived::Get) {
        push(
            Operation::Get(field),
            format!("get_{name}"),
            field.get.unwrap_or(role),
            vec![],
            Some(field.ty.clone()),
        );
    }
    let Some(role) = class
        .role_of(Derived::Set)
        .filter(|_| field.qualifier == Qualifier::ReadWrite)
    else {
        return;
    };
    let role = field.set.unwrap_or(role);
    let value = |ty: &Type| required("value", ty.clone());
    push(
        Operation::Set(field),
        format!("set_{name}"),
        role,
        vec![value(&field.ty)],
        None,
    );
    match &field.ty {
        Type::Set(item) => {
            push(
                Operation::Add(field),
                format!("add_{name}"),
                role,
                vec![value(item)],
                None,
            );
            push(
                Operation::Remove(field),
                format!("remove_{name}"),
                role,
                vec![value(item)],
                None,
            );
        }
        Type::Map(key, item) => {
            let key = || required("key", (**key).clone());
            push(
                Operation::Add(field),
                format!("add_to_{name}"),
                role,
                vec![key(), value(item)],
                None,
            );
            push(
                Operation::Remove(field),
                format!("remove_from_{name}"),
                role,
                vec![key()],
                None,
            );
        }
        _ => {}
    }
}

fn required(name: &str, ty: Type) -> Param {
    Param {
        name: name.to_owned(),
        ty,
        default: None::<Literal>,
    }
}
