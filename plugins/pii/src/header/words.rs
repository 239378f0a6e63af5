//! Words of headers that name no personal data.

/// Words behind a phrase that leave it the head.
#[rustfmt::skip]
pub(super) const QUALIFIERS: &[&str] = &[
    "a", "abs", "alt", "alternate", "b", "clean", "cleaned", "col", "column", "current", "de", "del", "du",
    "field", "full", "home", "info", "input", "kunde", "latest", "list", "main", "masked", "new", "no", "nr",
    "num", "number", "numbers", "numer", "numero", "nummer", "office", "old", "orig", "original", "pers",
    "personal", "plain", "preferred", "previous", "primary", "private", "raw", "secondary", "str", "string",
    "text", "txt", "val", "value", "values", "work", "x", "y", "1st", "2nd", "cliente", "client", "customer",
    "user", "emp", "employee", "patient", "contact",
];

/// Words in front of a phrase that make a flag, a count or a measure of it.
#[rustfmt::skip]
pub(super) const TURNING_HEADS: &[&str] = &[
    "allow", "allows", "anzahl", "avg", "average", "can", "count", "counts", "days", "disable", "distinct",
    "enable", "enabled", "has", "have", "hide", "hours", "is", "length", "max", "md5", "mean",
    "median", "min", "n", "nb", "needs", "nombre", "num of", "pct", "percent", "quantity", "requires", "send",
    "sha1", "sha256", "should", "show", "sum", "total", "unique", "use", "uses", "verified", "hashed",
    "encrypted",
];

/// Words for people and their parts in business: a bare `name` beside one is a name of people.
#[rustfmt::skip]
pub(super) const OWNERS: &[&str] = &[
    "account holder", "applicant", "assignee", "attorney", "author", "beneficiary", "billing", "borrower",
    "buyer", "candidate", "cardholder", "cashier", "caller", "client", "cliente", "clients", "clinician",
    "coach", "contact", "cust", "customer", "customers", "debtor", "delivery", "director", "doctor", "donor",
    "driver", "emergency", "emp", "employee", "employees", "father", "guardian", "guest", "holder", "insured",
    "instructor", "invoice", "klant", "kunde", "kunden", "lead", "manager", "member", "mother", "nurse",
    "owner", "parent", "participant", "passenger", "patient", "patients", "payee", "payer", "pers", "person",
    "personal", "physician", "player", "policyholder", "professor", "provider", "pupil", "recipient", "rep",
    "representative", "requester", "respondent", "sender", "shipping", "signer", "spouse", "staff", "student",
    "students", "subscriber", "supervisor", "teacher", "tenant", "traveler", "user", "users", "utente",
    "victim", "visitor", "witness", "worker", "salarie", "empleado", "paciente", "mitarbeiter", "patienten",
    "medewerker", "kontakt", "home", "customer s",
];

/// Words for numbers of things that have a form of their own, which one of people may have too.
#[rustfmt::skip]
pub(super) const NUMBERED: &[&str] = &[
    "barcode", "cusip", "ean", "gln", "gtin", "isbn", "issn", "oclc", "parcel", "parcel id", "sscc", "upc",
];

/// Words for what is random and no secret.
#[rustfmt::skip]
pub(super) const RANDOM: &[&str] = &[
    "checksum", "commit", "cursor", "digest", "etag", "guid", "hash", "hashed", "id", "identifier", "ids", "md5",
    "order id", "revision", "sha", "sha 1", "sha 256", "uuid",
];

/// Words for things that are no personal data: measures, flags, categories, technical facts, things.
#[rustfmt::skip]
pub(super) const HARMLESS: &[&str] = &[
    "abbreviation", "access", "action", "active", "activity", "age", "agent", "aircraft", "airline", "airport",
    "allowed", "altitude", "amount", "amt", "app", "approved", "area", "area code", "artist", "asset", "at",
    "attempts", "attribute", "available", "average", "avg", "balance", "band", "batch", "benefit",
    "bird", "bitrate", "blocked", "blood", "body", "body type", "book", "bool", "bounced", "brand", "browser",
    "bucket", "budget", "build", "building", "bytes", "calls", "campaign", "cancelled", "capacity", "capital",
    "car", "carrier", "cat", "categorie", "category", "cause", "cell line", "cells", "centimeters", "changed",
    "channel", "character", "charge", "class", "classification", "clicks", "cluster", "cm", "code",
    "codes", "color", "colour", "comment", "comments", "company", "completed", "component",
    "condition", "confirmed", "consent", "continent", "conversion", "cost", "count", "country", "country code",
    "counts", "county", "coupon", "course", "coverage", "created", "created at", "creation", "credit", "crop",
    "currency", "curr", "cut", "cylinders", "data", "date", "datetime", "day", "days", "deadline", "dealer",
    "deleted", "delivered", "delta", "density", "department", "dept", "depth", "desc", "description",
    "destination", "device", "diagnosis", "diameter", "dimension", "direction", "disabled", "discount",
    "disease", "display", "distance", "district", "division", "dose", "dosage", "due", "duration", "edition",
    "education", "elevation", "email count", "enabled", "end", "ended", "endpoint", "engine", "entry", "env",
    "environment", "epoch", "error", "errors", "event", "expires", "expiry", "extension", "family", "fare",
    "feature", "fee", "file", "filename", "finished", "firmware", "flag", "flavor", "flight", "flow", "food",
    "folder", "format", "founded", "frequency", "fruit", "fuel", "fund", "gb", "gender", "gene", "genre",
    "genus", "geslacht", "geo", "gmv", "goals", "grade", "gross", "group", "groups", "growth",
    "height", "hemisphere", "hex", "horsepower", "host", "hostname", "hour", "hours",
    "image", "impressions", "inches", "income", "increment", "index", "industry",
    "ingredient", "institution", "interest", "interval", "inventory", "invoice", "issue", "issuer",
    "item", "items", "job", "job title", "key", "keyword", "kg", "kind", "km", "label", "land", "lang",
    "language", "layer", "league", "length", "level", "library", "license", "licence", "license type",
    "licence type", "limit", "line", "linked", "locale", "log", "logins", "loss", "lot", "machine",
    "magnitude", "make", "manufacturer", "margin", "marital status", "mark", "market", "mass", "material",
    "max", "mean", "measure", "median", "medium", "message", "method", "metric", "mileage", "min",
    "mime", "minute", "minutes", "mode", "model", "modified", "module", "month", "months", "mpg",
    "name length", "nationality", "net", "node", "note", "notes", "notification", "notifications",
    "occupation", "offset", "open", "opened", "operator", "opt", "opted", "optin", "option", "order",
    "order no", "order number", "orders", "org", "organisation", "organization", "origin", "os",
    "outcome", "output", "package", "page", "pages", "part", "partner", "parts", "path", "payment", "pct",
    "percent", "percentage", "period", "phase", "phone model", "phone type", "pixel", "plan", "plant",
    "platform", "points", "policy", "pop", "population", "port", "position", "pressure", "price", "priority",
    "probability", "process", "product", "products", "profession", "profit", "program", "project", "protocol",
    "provider", "province", "published", "purchase", "qty", "quality", "quantity", "quarter", "query", "queue",
    "race", "radius", "rain", "rank", "rate", "rating", "ratio", "read", "reason", "received", "record", "ref",
    "reference", "region", "registered", "relation", "release", "released", "religion", "remark", "remarks",
    "report", "request", "requests", "resolution", "response", "result", "results", "retries", "returned",
    "revenue", "review", "role", "room", "row", "rows", "rule", "run", "salary", "sales", "salt",
    "sample", "saved", "scenario", "schedule", "school", "score", "season", "seat", "seats", "sector",
    "seconds", "seen", "segment", "seller", "sent", "sensor", "seq", "sequence", "serial", "series", "server",
    "service", "session", "severity", "sex", "shape", "shipped", "shop", "signal",
    "since", "site", "size", "skill", "sku", "slot", "software", "sold", "sort", "source", "species",
    "specimen", "speed", "sport", "square", "stage", "stars", "start", "started", "state", "station", "status",
    "step", "stock", "store", "style", "subject", "submitted", "subscribed", "subtotal", "subtype", "suffix",
    "sum", "supplier", "survived", "symbol", "system", "table", "tag", "tags", "target", "tax", "team", "temp",
    "temperature", "template", "term", "thread", "threshold", "ticket", "tier", "time", "timestamp",
    "timezone", "title", "tld", "token count", "tokens", "tool", "topic", "tot", "total", "track", "tracking",
    "tracking number", "trade", "train", "transaction", "transmission", "treatment", "trial", "trip", "ts",
    "turnover", "type", "types", "unit", "units", "updated", "updated at", "url count", "usage", "user agent",
    "utc", "valid", "validated", "value type", "variable", "variant", "variety", "vehicle", "velocity",
    "vendor", "verified", "version", "views", "visits", "voltage", "volume", "votes", "wage", "warehouse",
    "warranty", "week", "weekday", "weight", "width", "wind", "winner", "wins", "year", "years", "yield",
    "zone", "domain", "email domain", "email status", "email type", "expiration", "card brand", "card network",
    "card type", "cvv result", "bank", "bank name", "branch", "balance due", "address type", "address count",
    "parameter", "dataset", "artifact", "coordinates system", "crs", "sms", "opt in", "opt out",
    "contact method", "contact type", "iban country", "tz",
    // Other languages.
    "anzahl", "betrag", "datum", "art", "typ", "farbe", "preis", "menge", "grosse", "alter", "geschlecht",
    "jahr", "monat", "abteilung", "firma", "beruf", "artikel", "bestellung", "rechnung", "kategorie",
    "bezeichnung", "bemerkung", "beschreibung", "gewicht", "montant", "prix", "quantite", "couleur", "taille",
    "annee", "mois", "entreprise", "societe", "pays", "produit", "commande", "statut", "categorie", "libelle",
    "sexe", "poste", "metier", "cantidad", "precio", "fecha", "estado", "tipo", "color", "pais", "empresa",
    "producto", "pedido", "edad", "sexo", "puesto", "categoria", "descripcion", "importe", "codigo", "genero",
    "quantita", "prezzo", "data", "stato", "colore", "azienda", "prodotto", "ordine", "eta", "importo",
    "codice", "quantidade", "preco", "produto", "valor", "idade", "cor", "aantal", "bedrag", "prijs", "kleur",
    "bedrijf", "soort", "leeftijd", "land", "afdeling", "ilosc", "cena", "kolor", "wiek", "plec", "opis",
    "antal", "pris", "farg", "farve", "belopp", "belob", "maara", "hinta", "adet", "fiyat", "renk", "sirket",
    "tarih", "durum", "tutar", "数量", "价格", "状态", "类型", "颜色", "公司", "日期", "年齢", "価格", "количество", "цена",
    "статус", "тип", "цвет", "компания", "дата", "возраст", "сумма", "수량", "가격", "상태",
];
