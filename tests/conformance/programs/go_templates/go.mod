module templates

go 1.21
