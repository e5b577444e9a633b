module my-filter

go 1.24
