target "app" { tags = ["a"]
  args = { A = }
}
