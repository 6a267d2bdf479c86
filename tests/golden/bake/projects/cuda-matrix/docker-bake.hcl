variable "CUDA" {
  type    = list(string)
  default = ["11.8.0", "12.4.1"]
}
variable "PYTHON" {
  type    = set(string)
  default = ["3.11", "3.12", "3.11"]
}
variable "LATEST" { default = "12.4.1" }

locals_like = { suffix = "el8" }

target "torch" {
  matrix = {
    cuda   = CUDA
    python = PYTHON
  }
  name = sanitize("torch-cu${cuda}-py${python}")
  args = {
    CUDA_VERSION   = cuda
    CUDA_MAJOR     = split(".", cuda)[0]
    PYTHON_VERSION = python
  }
  tags = compact([
    "torch:cu${replace(cuda, ".", "")}-py${replace(python, ".", "")}-${locals_like.suffix}",
    cuda == LATEST && python == "3.12" ? "torch:latest" : "",
  ])
  annotations = ["index,manifest:org.example.cuda=${cuda}"]
}

group "default" {
  targets = ["torch"]
}

group "latest" {
  targets = [for p in PYTHON : sanitize("torch-cu${LATEST}-py${p}")]
}
