target "default" {
  args = {
    DEPLOY_TOKEN = "not-a-real-one"
  }
}
