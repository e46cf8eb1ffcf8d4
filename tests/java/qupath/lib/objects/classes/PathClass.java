package qupath.lib.objects.classes;

import java.io.Serializable;

public class PathClass implements Serializable {
    private static final long serialVersionUID = 1L;
    public final PathClass parentClass;
    public final String name;
    public Integer colorRGB;

    public PathClass(PathClass parentClass, String name, Integer colorRGB) {
        this.parentClass = parentClass;
        this.name = name;
        this.colorRGB = colorRGB;
    }

    @Override
    public String toString() {
        return parentClass == null ? name : parentClass + ": " + name;
    }
}
