# What the phase terraform-lint of `./ai test` lints with; the ruleset is part of tflint itself, so nothing is downloaded.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
