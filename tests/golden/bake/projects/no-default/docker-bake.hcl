target "one" {}
target "two" { inherits = ["one"] }
group "both" { targets = ["one", "two"] }
group "one" { targets = ["one", "two"] }
