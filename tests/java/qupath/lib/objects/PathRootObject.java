package qupath.lib.objects;

public class PathRootObject extends PathObject {
    private static final long serialVersionUID = 1L;
}
